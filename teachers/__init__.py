"""Teachers map observations to actions. One file a teacher; ``dataenv.registry`` knows them by name."""

"""``text``: items that are written alike are of one skill. It looks at no student: the control for the others."""

from __future__ import annotations

import numpy as np

from dataenv.discovery.discover import DiscoveryScene, Found
from tasks.embedding import Embedding
from tasks.records import stream
from teachers.base import require_whole
from teachers.discovery.clusters import kmeans, named


class ByText:
    """k-means of hashed character n-grams of the prompts (``tasks.embedding``).

    Args:
        skills: Clusters, at least 2.
    """

    name = "text"

    def __init__(self, skills: int = 16) -> None:
        self.skills = require_whole("skills", skills, 2)

    def discover(self, scene: DiscoveryScene) -> Found:
        """See Discoverer."""
        points = Embedding([item.prompt for item in scene.items]).vectors.astype(np.float64)
        labels = kmeans(points, self.skills, stream(scene.seed, "discover text"))
        return Found(skills=named(labels), labels=tuple(labels))

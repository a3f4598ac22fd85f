"""Boards: run teachers within one Setting, compare them, and write what was found."""

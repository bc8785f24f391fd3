"""Scan, captions, buckets, crops, order."""

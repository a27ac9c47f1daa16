"""Token ids of a run's texts: in memory for a few, on the disk for a run's, so that a later run reads them back."""

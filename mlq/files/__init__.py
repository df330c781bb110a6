"""Files of records: how their rows are read and written."""

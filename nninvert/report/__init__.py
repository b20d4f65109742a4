"""Results as text, tables and JSON. Plain functions: nothing here prints."""

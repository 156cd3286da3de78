"""Statements on paper and in files: what stands on one, in the reader's language, as PDF, workbook or plain rows."""

"""The same work written for other libraries, each with its best settings: what Cardwork is measured against."""

"""What the book decides, without a database: order states, holds, journals, positions, postings."""

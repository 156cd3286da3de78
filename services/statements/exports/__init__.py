"""Files of transactions for the client's own books, in forms that layouts describe; each transaction is in one of them."""

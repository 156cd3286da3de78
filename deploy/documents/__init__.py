"""What derives from the contracts for people and for machines: OpenAPI, AsyncAPI, and the explanation of one message.

Nothing in here is written by hand for one message, so a new contract is documented by being declared.
"""

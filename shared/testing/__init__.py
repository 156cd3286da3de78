"""What tests stand on: real servers, patience and fixtures, for our own tests and for anyone who extends Cardwork."""

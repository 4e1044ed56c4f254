"""What trains and keeps a model without knowing which model it is."""

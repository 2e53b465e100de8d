"""Citizen reports (随手拍): a resident says what is wrong, a worker of that area answers."""

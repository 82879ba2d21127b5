"""Onboarding of uploaded image and label archives."""

"""Dimensions: loads declared rows into tables with slowly changing history."""

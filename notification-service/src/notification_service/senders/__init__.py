"""The ways out of the house: each takes a letter and says what came of it. No database here."""

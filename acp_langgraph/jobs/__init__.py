"""The life of one remote job, whichever protocol it is done over, and what makes it certain."""

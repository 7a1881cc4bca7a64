"""Cases on the page: kept, opened, shared and commented."""

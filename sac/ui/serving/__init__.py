"""How the page is served: who may enter, what an answer carries, and what is never answered."""

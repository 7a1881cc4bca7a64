"""The Hugging Face Hub as a place to fetch from and to send to: whole and verified, or one plain sentence."""

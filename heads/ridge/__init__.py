"""The ridge: sufficient statistics, and every fit that starts from them."""

"""A social media feed: GraphQL and REST over one service layer."""

"""What two services already share. No word of any one service stands here."""

"""What every application uses: errors, fields, states."""

"""The listener, `bearwrap serve`, from outside."""

"""Many logins while Vault is killed and started again, over and over."""

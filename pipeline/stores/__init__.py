"""Object stores: gs:// and s3://, with the clients that Beam's own options set up."""

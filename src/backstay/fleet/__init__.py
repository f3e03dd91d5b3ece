"""Sites as an agency means them: local profiles and remote servers of the API, in groups; a run of a remote one."""

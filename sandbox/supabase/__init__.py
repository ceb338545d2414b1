"""The sign-in of a Supabase project, imitated as far as others see it: its published keys and the tokens it issues."""

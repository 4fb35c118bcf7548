FROM never-heard-of

"""Source code: folders, archives and git repositories, languages and licences."""

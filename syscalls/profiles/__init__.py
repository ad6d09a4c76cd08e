"""Profiles: another kernel's answers, laid over this one (`pylx --profile wsl1`).  Only the command imports this
package, and only when a profile is asked for.  docs/profiles.md says how one is written."""

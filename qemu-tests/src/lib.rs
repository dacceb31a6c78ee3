//! Boots built images; imports nothing of ours.

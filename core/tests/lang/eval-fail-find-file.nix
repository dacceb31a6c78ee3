<surely-not-there>

./data + null

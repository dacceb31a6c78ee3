[ { or = 2; }.or ({ inherit ({ or = 3; }) or; }).or ]

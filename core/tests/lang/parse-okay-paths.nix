x: [ ./a ./b/../c ./. /absolute/./path/.. ./a/${x} ./a${x}/b/${x}c <search/path> ]

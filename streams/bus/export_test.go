package bus

// ParseRepublished is for FuzzParseRepublished.
var ParseRepublished = parseRepublished

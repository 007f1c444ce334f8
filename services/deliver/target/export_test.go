package target

// MaxOrigins is how many origins are remembered.
const MaxOrigins = maxOrigins

package deliveries

// Forgetting is the part that has a store forget.
var Forgetting = forgetting

package postgres

// Translate is what the server is given for a text.
var Translate = translate

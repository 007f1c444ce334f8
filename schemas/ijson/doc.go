// Package ijson says which JSON our formats take beyond what encoding/json asks for: I-JSON (RFC 7493),
// in the one spelling of each name.
//
// We pass stored bytes on to clients without decoding them, so every parser must read the same in them
// as ours did. encoding/json is more lenient than others: it takes the last of two equal keys, "BODY" and even
// "ſeq" for "body" and "seq", puts U+FFFD in the place of bytes that are not UTF-8 and of half a surrogate
// pair, and nests 10,000 deep, where others stop at 64 or 128. Check refuses all of these.
//
// The package knows no format; it reads the names of one from its struct (ShapeOf).
package ijson

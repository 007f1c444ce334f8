// Package archtest is the law of the tree, as tests: who may import whom, which package a technology lives in, who
// may spell a name or a status code, how large a thing may grow, and that the README's map is the tree.
//
// Each rule is a row of a table with its reason, and so is each exception. A failure is one line: what, where, why.
// It reads source text only, of every operating system, so it needs no build and takes about a second.
// It must not know what the code does.
package archtest

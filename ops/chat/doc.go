// Package chat is the terminal client: somebody types, and sees what others say, in lines. It is what canopy chat runs,
// and an example of what edge/client and edge/client/live can do.
//
// Lines that are typed are sent to the channel that is open; those that begin with a slash are commands (/help lists
// them). One's own lines stand as sending until the log has them. With JSON it is a pipe instead: frames in and
// out, a line each, and lines of type state of its own between them.
//
// view.go and package line are pure: they turn events into lines and lines into commands, and are tested by
// transcripts. Package wish is what somebody wants to be woken for, screen alone knows of terminals; talk.go and pipe.go perform. What others wrote never reaches a
// terminal with its control characters.
package chat

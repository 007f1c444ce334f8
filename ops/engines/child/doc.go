// Package child starts processes that do not outlive this one, however it ends: servers that write into a log, and tools
// that run to their end. It can run them as an unprivileged user, hold them still and kill all that they have started.
//
// It knows nothing of what they do. All of it works on Linux only, and Supported says so.
package child

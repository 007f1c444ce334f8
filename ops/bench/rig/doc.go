// Package rig holds what a measurement needs around the server: swarms of clients, and the bare epoll loop that the
// server is compared with. Each is a process of its own, made of the same program, so that what it costs is not
// counted as the server's.
//
// It owns those processes and their sockets. It promises that what a swarm reports was received by its sockets, and
// that a process ends when the one that started it does. It knows nothing of people, channels or figures.
package rig

package app

import "io"

// CloseMessages takes the message store away while everything runs, as a disk that is gone does.
func (a *App) CloseMessages() error { return a.messages.(io.Closer).Close() }

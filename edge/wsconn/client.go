package wsconn

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"github.com/canopychat/canopy/schemas/fault"
	"github.com/gobwas/ws"
)

// Client is the other end of a socket: a blocking one, for programs that hold a few. Read and Write may each
// be used by one goroutine at a time, both at once. It leaves meaning to its user: frames are bytes.
type Client struct {
	conn net.Conn
	in   io.Reader // what came with the answer, then conn
}

// CloseError says that the server closed the conversation.
type CloseError struct {
	Code   int // of the close frame; 1005: it had none
	Reason string
}

// Error is the code and reason as the server gave them.
func (e *CloseError) Error() string {
	return fmt.Sprintf("closed by the server: %d %s", e.Code, e.Reason)
}

// RefusedError says that the server answered something else than 101.
type RefusedError struct {
	Status int
	Body   []byte // at most 4 KiB of it
}

// Error is the status and what the server said.
func (e *RefusedError) Error() string { return fmt.Sprintf("refused with %d: %s", e.Status, e.Body) }

const maxRefusal = 4 << 10

// Dial opens a socket at a ws:// or wss:// URL. header may carry an Authorization. The error is a *RefusedError
// when the server answered, and did not upgrade.
func Dial(ctx context.Context, url string, header http.Header) (*Client, error) {
	refused := &RefusedError{}
	dialer := ws.Dialer{
		Header: ws.HandshakeHeaderHTTP(header),
		OnStatusError: func(status int, _ []byte, rest io.Reader) {
			refused.Status = status
			// The connection may stay open: only the answer's head says where its body ends.
			answer, err := http.ReadResponse(bufio.NewReader(rest), nil)
			if err != nil {
				return
			}
			// What was read of a body that is cut off is worth showing.
			body, _ := io.ReadAll(io.LimitReader(answer.Body, maxRefusal))
			_ = answer.Body.Close() // the dialer closes the connection
			refused.Body = bytes.TrimSpace(body)
		},
	}
	conn, br, _, err := dialer.Dial(ctx, url)
	if err != nil {
		if refused.Status != 0 {
			return nil, refused
		}
		return nil, fmt.Errorf("open a socket: %w", err)
	}
	c := &Client{conn: conn, in: conn}
	if br != nil {
		c.in = io.MultiReader(bytes.NewReader(buffered(br)), conn)
		ws.PutReader(br)
	}
	return c, nil
}

// buffered copies what a reader holds.
func buffered(br *bufio.Reader) []byte {
	b, err := br.Peek(br.Buffered())
	if err != nil { // it was asked for no more than it has
		return nil
	}
	return bytes.Clone(b)
}

// Conn is the connection under the socket, for deadlines and for breaking it.
func (c *Client) Conn() net.Conn { return c.conn }

// Read is the next text message. It answers pings on the way. The error is a *CloseError when the server closed.
func (c *Client) Read() ([]byte, error) {
	var message []byte
	for {
		h, err := ws.ReadHeader(c.in)
		if err != nil {
			return nil, err
		}
		if h.Length > MaxMessage*2-int64(len(message)) {
			return nil, fmt.Errorf("a message of more than %d bytes from the server", MaxMessage*2)
		}
		payload := make([]byte, h.Length)
		if _, err := io.ReadFull(c.in, payload); err != nil {
			return nil, err
		}
		switch h.OpCode {
		case ws.OpPing:
			err = c.write(ws.OpPong, payload)
		case ws.OpClose:
			code, reason := ws.ParseCloseFrameData(payload)
			if err := c.write(ws.OpClose, payload); err != nil && !errors.Is(err, net.ErrClosed) {
				return nil, errors.Join(&CloseError{int(code), reason}, err)
			}
			return nil, &CloseError{int(code), reason}
		case ws.OpText, ws.OpContinuation:
			message = append(message, payload...)
			if h.Fin {
				return message, nil
			}
		}
		if err != nil {
			return nil, err
		}
	}
}

// Write sends a text message.
func (c *Client) Write(message []byte) error { return c.write(ws.OpText, message) }

func (c *Client) write(op ws.OpCode, payload []byte) error {
	f := ws.MaskFrame(ws.NewFrame(op, true, payload))
	var b bytes.Buffer
	if err := ws.WriteFrame(&b, f); err != nil {
		return err
	}
	_, err := c.conn.Write(b.Bytes())
	return err
}

// closeTimeout bounds the writing of a close frame.
const closeTimeout = time.Second

// Close says goodbye and ends the connection.
func (c *Client) Close() error {
	if err := c.conn.SetWriteDeadline(time.Now().Add(closeTimeout)); err == nil {
		_ = c.write(ws.OpClose, ws.NewCloseFrameBody(ws.StatusCode(fault.CloseNormal), "")) // the server may have gone first
	}
	return c.conn.Close()
}

"""How the compiler service and its worker process separate their messages: a JSON text behind its length."""

import struct

LENGTH = struct.Struct(">I")

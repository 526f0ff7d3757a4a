"""How the verbs report what went wrong."""

EXIT_FAILED = 1
EXIT_CANNOT_START = 2
# As shells report what a signal ended: 128 + its number.
EXIT_INTERRUPTED = 130
EXIT_TERMINATED = 143


class CommandError(Exception):
    """Ends a verb with one line on stderr and an exit code; never a traceback."""

    def __init__(self, message: object, exit_code: int = EXIT_CANNOT_START) -> None:
        super().__init__(" ".join(str(message).split()))
        self.exit_code = exit_code

# Byte ranges of streamed files, and answers to the kernel. Part of _native.pyx.

cdef enum:
    ANSWERS = 512


cdef class Wanted:
    """What the engine wants before it can go on.

    Attributes
    ----------
    is_request : bool
        Whether a request waits for it; else it is read ahead.
    is_answered : bool
        Whether nothing is wanted: the request was answered.
    file : int
        The request's streamed file.
    offset, size : int
        Bytes of the file that are asked for.
    slot, unique : int
        The request's names, of serve and of the kernel.
    array : int
        An array of which chunks are wanted, or -1: the bytes must be made in another way.
    chunk_row : int
        The chunk row whose chunks are wanted.
    """

    cdef bf_request request
    cdef readonly bint is_request
    cdef readonly bint is_answered
    cdef readonly int array
    cdef readonly uint64_t chunk_row

    @property
    def file(self):
        return self.request.file

    @property
    def offset(self):
        return self.request.offset

    @property
    def size(self):
        return self.request.size

    @property
    def slot(self):
        return self.request.slot

    @property
    def unique(self):
        return self.request.unique


cdef Wanted wanted(const bf_request *request, const bf_place *place):
    cdef Wanted found = Wanted.__new__(Wanted)
    found.is_request = request != NULL
    if request != NULL:
        found.request = request[0]
    found.array = place.array
    found.chunk_row = place.chunk_row
    return found


# Its cache must be there until its contexts have gone.
@cython.no_gc_clear
cdef class Engine:
    """Makes byte ranges of streamed files without Python. Thread-safe once it is set up.

    Parameters
    ----------
    cache : Cache
        For planes, records, and chunks that were given.
    folder : int
        Descriptor of the store's folder, which must stay open; -1 if it has none.
    open_files : int
        Files of the store that may be open, at most.
    ahead_bytes : int
        Of a file that is read on in, for how many planes are made ahead.
    """

    cdef bf_engine engine
    cdef Cache cache
    cdef Cache files_cache
    cdef bf_door door
    cdef list kept
    cdef uint8_t[::1] table

    def __cinit__(self, Cache cache not None, int folder, uint32_t open_files,
                  uint64_t ahead_bytes):
        cdef bf_error err
        clear(&err)
        self.cache = cache
        self.files_cache = Cache(<uint64_t> open_files * BF_OPEN_FILE)
        self.kept = []
        if bf_engine_init(&self.engine, &err) != BF_OK:
            raise_error(&err)
        self.engine.folder = folder
        self.engine.cache = cache.cache
        self.engine.open_files = self.files_cache.cache
        self.engine.ahead_bytes = ahead_bytes
        self.engine.arrays = <bf_array *> calloc(BF_MAX_ARRAYS, sizeof(bf_array))
        if self.engine.arrays == NULL:
            raise MemoryError
        self.door.socket = self.door.fuse = -1

    def __dealloc__(self):
        cdef bf_context *context
        cdef int a
        while self.engine.contexts != NULL:
            context = self.engine.contexts
            self.engine.contexts = context.next
            for a in range(BF_MAX_ARRAYS):
                free(context.sources[a])
            free(context.out)
            free(context.blocks)
            free(context)
        free(<void *> self.engine.arrays)
        free(<void *> self.engine.files)
        free(self.engine.watched)
        bf_engine_free(&self.engine)

    def add_array(self, uint32_t chunk_rows, uint64_t raw_size, columns, bint local,
                  bytes prefix not None, bytes separator not None, bytes tail not None,
                  uint64_t opened_ns, uint32_t max_block):
        """Add an array of calls whose chunks are zstd Blosc frames of int8.

        Parameters
        ----------
        chunk_rows : int
            Rows of a chunk.
        raw_size : int
            Bytes of a decoded chunk.
        columns : buffer of uint32
            Numbers of the sample chunks that are read.
        local : bool
            Whether its chunks are files below the folder; else they are given.
        prefix, separator, tail : bytes
            The key of a chunk is prefix + row + separator + column + tail.
        opened_ns : int
            Files that were changed later, in ns since 1970, are not read.
        max_block : int
            Bytes of a block: frames of larger ones are refused.

        Returns
        -------
        int
            Its number.
        """
        cdef bf_array *array
        cdef const uint32_t[::1] numbers = columns
        if self.engine.num_arrays == BF_MAX_ARRAYS:
            raise ValueError("there are too many arrays")
        if chunk_rows == 0:
            raise ValueError("a chunk has no rows")
        array = <bf_array *> &self.engine.arrays[self.engine.num_arrays]
        array.chunk_rows = chunk_rows
        array.num_chunks = <uint32_t> numbers.shape[0]
        array.columns = &numbers[0] if numbers.shape[0] > 0 else NULL
        array.kind.raw_size = raw_size
        array.kind.opened_ns = opened_ns
        array.kind.max_block = max_block
        array.local = local
        array.prefix = prefix
        array.separator = separator
        array.tail = tail
        self.kept.append((columns, prefix, separator, tail))
        self.engine.num_arrays += 1
        return self.engine.num_arrays - 1

    def add_file(self, const uint8_t[::1] header not None, uint64_t size, uint64_t records,
                 uint64_t record_size, const uint64_t[::1] offsets, RecordEncoder encoder,
                 int genotypes, int phased, bint framed=False,
                 const uint32_t[::1] variants=None, uint64_t first=0):
        """Add a streamed file.

        Parameters
        ----------
        header : buffer of uint8
        size, records : int
            Bytes of the file, or of its stream, and its records.
        record_size : int
            Bytes of a record, if `offsets` is None.
        offsets : buffer of uint64 or None
            Where records begin, and the file's size.
        encoder : RecordEncoder or None
            None if the file's bytes must be made in another way.
        genotypes, phased : int
            Numbers of the arrays that records are made from; -1 for none.
        framed : bool
            Whether header and records are a stream, which the file has in BGZF blocks.
        variants : buffer of uint32, optional
            The store's index of each record, ascending.
        first : int
            That of the first record, if they are not given: others follow it.
        """
        cdef bf_file *files
        cdef bf_file *file
        cdef uint32_t n = self.engine.num_files
        if self.engine.contexts != NULL:
            raise ValueError("files are added before contexts")
        if encoder is not None:
            if not 0 <= genotypes < <int> self.engine.num_arrays or not (
                    -1 <= phased < <int> self.engine.num_arrays):
                raise ValueError("there is no such array")
            if variants is not None and <uint64_t> variants.shape[0] != records:
                raise ValueError("there is a variant for each record")
            if offsets is None:
                if record_size == 0 or size != <uint64_t> header.shape[0] + records * record_size:
                    raise ValueError("the records are not of this size")
            elif (<uint64_t> offsets.shape[0] != records + 1
                  or offsets[0] != <uint64_t> header.shape[0] or offsets[records] != size):
                raise ValueError("the records are not at these offsets")
        files = <bf_file *> self.engine.files
        if n & (n - 1) == 0:
            # There is room for as many as a power of two says.
            files = <bf_file *> realloc(files, (2 * n if n else 1) * sizeof(bf_file))
            if files == NULL:
                raise MemoryError
            self.engine.files = files
        file = &files[n]
        memset(file, 0, sizeof(bf_file))
        file.header = address(header)
        file.header_size = header.shape[0]
        file.size = size
        file.records = records
        file.variants = &variants[0] if variants is not None and records > 0 else NULL
        file.first = first
        file.record_size = record_size
        file.offsets = &offsets[0] if offsets is not None else NULL
        file.encode = encoder.encode if encoder is not None else NULL
        file.encoder = encoder.context if encoder is not None else NULL
        file.genotypes = genotypes
        file.phased = phased
        file.framed = framed
        self.kept.append((header, offsets, encoder, variants))
        self.engine.num_files = n + 1

    def add_context(self, list rows not None):
        """Let one thread more make bytes at a time.

        Parameters
        ----------
        rows : list of Rows
            One for each array, in their order, which reads through this engine's cache.
        """
        cdef bf_context *context
        cdef Rows each
        cdef uint32_t a
        if <uint32_t> len(rows) != self.engine.num_arrays:
            raise ValueError("there must be rows for each array")
        for a in range(self.engine.num_arrays):
            each = rows[a]
            if each.rows.cache != self.engine.cache or each.rows.owner != a:
                raise ValueError("the rows are of another cache or array")
            if each.contents and <uint32_t> len(each.contents) != self.engine.arrays[a].num_chunks:
                raise ValueError("the rows are of other sample chunks")
        context = <bf_context *> calloc(1, sizeof(bf_context))
        if context == NULL:
            raise MemoryError
        for a in range(self.engine.num_arrays):
            each = rows[a]
            context.rows[a] = &each.rows
            context.bound[a] = -1
            context.sources[a] = <bf_source **> calloc(self.engine.arrays[a].num_chunks + 1,
                                                       sizeof(bf_source *))
            if context.sources[a] == NULL:
                raise MemoryError
        self.kept.append(rows)
        context.next = self.engine.contexts
        self.engine.contexts = context

    def watch(self, list paths not None):
        """Refuse to make bytes once one of these paths, below the folder, is not what it is now.

        Raises
        ------
        OSError
            If that cannot be told.
        """
        cdef bf_watched *watched
        cdef Py_ssize_t i
        watched = <bf_watched *> calloc(len(paths) + 1, sizeof(bf_watched))
        if watched == NULL:
            raise MemoryError
        free(self.engine.watched)
        self.engine.watched = watched
        self.kept.append(paths)
        for i in range(len(paths)):
            watched[i].path = paths[i]
            if not bf_watched_look(self.engine.folder, &watched[i]):
                raise OSError("a path of the store cannot be looked at")
        self.engine.num_watched = <uint32_t> len(paths)

    def give_bytes(self, int array, uint64_t chunk_row, uint32_t chunk,
                   const uint8_t[::1] data not None):
        """Give a whole frame; chunk is an index into the array's columns.

        Raises
        ------
        NativeError
            If it is malformed, or of another kind.
        """
        cdef bf_error err
        cdef bf_source *source = NULL
        cdef bf_place place = self.place(array, chunk_row, chunk)
        clear(&err)
        if bf_source_from_bytes(address(data), data.shape[0], &self.engine.arrays[array].kind,
                                &source, &err) != BF_OK:
            raise_error(&err)
        bf_engine_give(&self.engine, &place, source)

    def give_part(self, int array, uint64_t chunk_row, uint32_t chunk, int fd, uint64_t base,
                  uint64_t size):
        """Give a frame that is a part of a file, which must stay open. Raises as `give_bytes`."""
        cdef bf_error err
        cdef bf_source *source = NULL
        cdef bf_place place = self.place(array, chunk_row, chunk)
        clear(&err)
        if bf_source_from_part(fd, base, size, &self.engine.arrays[array].kind, &source,
                               &err) != BF_OK:
            raise_error(&err)
        bf_engine_give(&self.engine, &place, source)

    def give_absent(self, int array, uint64_t chunk_row, uint32_t chunk, int8_t fill,
                    bytes folder=None):
        """Say that a chunk is not stored.

        Parameters
        ----------
        fill : int
            Its alleles.
        folder : bytes, optional
            Where it is not: if that folder is changed, it may be there.
        """
        cdef bf_error err
        cdef bf_source *source = NULL
        cdef bf_place place = self.place(array, chunk_row, chunk)
        clear(&err)
        if bf_source_absent(fill, <const char *> folder if folder is not None else NULL,
                            &self.engine.arrays[array].kind, &source, &err) != BF_OK:
            raise_error(&err)
        bf_engine_give(&self.engine, &place, source)

    def has_row(self, int array, uint64_t chunk_row):
        """Whether all chunks of a row that was given are kept."""
        if not 0 <= array < <int> self.engine.num_arrays:
            raise ValueError("there is no such array")
        return bool(bf_engine_has_row(&self.engine, array, chunk_row))

    cdef bf_place place(self, int array, uint64_t chunk_row, uint32_t chunk):
        cdef bf_place place
        if not 0 <= array < <int> self.engine.num_arrays:
            raise ValueError("there is no such array")
        if chunk >= self.engine.arrays[array].num_chunks:
            raise ValueError("there is no such sample chunk")
        place.array = array
        place.chunk_row = chunk_row
        place.chunk = chunk
        return place

    def connect(self, int socket, int fuse, uint8_t[::1] table not None):
        """Say where requests come from, and where answers go.

        Parameters
        ----------
        socket : int
            Descriptor of the socket to serve.
        fuse : int
            Descriptor of the session.
        table : writable buffer of uint8
            The table that serve and this process share: counters, then slots.
        """
        self.door.socket = socket
        self.door.fuse = fuse
        self.table = table
        self.door.table = &self.table[0]
        self.door.table_size = self.table.shape[0]
        if self.door.table_size >= 4096:
            self.engine.counters = <uint64_t *> self.door.table

    cdef bf_status do_answer(self, const bf_request *request, bf_place *place) noexcept nogil:
        cdef bf_error err
        cdef bf_context *context = bf_engine_enter(&self.engine, 1)
        cdef bf_status status = bf_engine_read(&self.engine, context, request.file,
                                               request.offset, request.size, place, &err)
        cdef uint64_t size = 0
        cdef int i
        if status == BF_OK and bf_door_answer(&self.door, request, context.iov,
                                              context.num_iov) != 0:
            status = BF_ERR_ARGUMENT
        if status == BF_OK:
            for i in range(1, context.num_iov):
                size += context.iov[i].iov_len
            bf_count(self.engine.counters, BF_COUNT_READS, 1)
            bf_count(self.engine.counters, BF_COUNT_BYTES, size)
        bf_engine_end(&self.engine, context)
        bf_engine_leave(&self.engine, context)
        return status

    def serve(self, bint tell=False):
        """Answer requests, and prepare for others, until there is something for Python to do.

        Parameters
        ----------
        tell : bool
            Whether to return after each answer.

        Returns
        -------
        Wanted, bool or None
            What is wanted; False if nothing came for the socket's time-out; True after some
            hundreds of answers, for the plan's pages to be given up; None if serve has closed
            its end.
        """
        cdef bf_request request
        cdef bf_place place
        cdef bf_arrival arrival
        cdef bf_status status = BF_OK
        cdef bint ahead = False
        cdef Wanted done
        cdef int left = ANSWERS
        place.array = -1
        with nogil:
            while True:
                arrival = bf_door_receive(&self.door, 0, &request)
                if arrival == BF_DOOR_NOTHING:
                    if bf_engine_ahead(&self.engine, &place):
                        if place.array < 0:
                            continue
                        ahead = True
                        break
                    bf_engine_publish(&self.engine)
                    arrival = bf_door_receive(&self.door, 1, &request)
                if arrival != BF_DOOR_REQUEST:
                    break
                status = self.do_answer(&request, &place)
                left -= 1
                if tell or status != BF_OK or left == 0:
                    break
        if tell and arrival == BF_DOOR_REQUEST and status == BF_OK and not ahead:
            place.array = -1
            done = wanted(&request, &place)
            done.is_answered = True
            return done
        if status == BF_OK and left == 0:
            return True
        if ahead:
            return wanted(NULL, &place)
        if arrival == BF_DOOR_REQUEST:
            return wanted(&request, &place)
        return False if arrival == BF_DOOR_NOTHING else None

    def answer(self, Wanted request not None):
        """Try again to answer a request. Returns what is wanted, or None once it is answered."""
        cdef bf_place place
        cdef bf_status status
        with nogil:
            status = self.do_answer(&request.request, &place)
        return None if status == BF_OK else wanted(&request.request, &place)

    def count(self, uint32_t number, uint64_t n):
        """Add to one of the table's counters."""
        if number >= BF_NUM_COUNTERS:
            raise ValueError("there is no such counter")
        bf_count(self.engine.counters, <int> number, n)

    @property
    def nbytes(self):
        """Bytes that are kept."""
        return bf_cache_size(self.engine.cache)

    @property
    def runs(self):
        """Runs of reads that go on."""
        return bf_engine_runs(&self.engine)

    def list_runs(self):
        """The runs of reads that are under way, each as its file, the byte that it began at, the
        byte that it has come to, and whether more reads of it are to be expected."""
        cdef bf_run runs[BF_MAX_RUNS]
        cdef int i, count = 0
        with nogil:
            pthread_mutex_lock(&self.engine.lock)
            for i in range(BF_MAX_RUNS):
                if bf_run_is_active(&self.engine.runs, &self.engine.runs.runs[i]):
                    runs[count] = self.engine.runs.runs[i]
                    count += 1
            pthread_mutex_unlock(&self.engine.lock)
        return [(runs[i].file, runs[i].first, runs[i].position,
                 bool(bf_run_goes_on(&runs[i])))
                for i in range(count)]

    def refuse(self):
        """Make nothing any more: the store is not what it was."""
        self.engine.changed = 1

    def keep_elsewhere(self, uint64_t size):
        """Say how many bytes others keep, which the table counts with those of the cache."""
        self.engine.held_elsewhere = size

    def read(self, uint32_t file, uint64_t offset, uint64_t size):
        """Bytes of a streamed file, fewer at its end; or what is `Wanted` first."""
        out = bytearray(size)
        found = self.read_into(file, offset, out)
        return bytes(memoryview(out)[:found]) if isinstance(found, int) else found

    def read_into(self, uint32_t file, uint64_t offset, uint8_t[::1] out not None):
        """Put bytes of a streamed file where they are wanted.

        Returns
        -------
        int or Wanted
            How many, fewer at the file's end; or what is wanted first.
        """
        cdef uint64_t size = out.shape[0]
        return self.make(file, offset, size, &out[0] if size > 0 else NULL, -1, 0)

    def write(self, uint32_t file, uint64_t offset, uint64_t size, int fd, uint64_t at):
        """Write bytes of a streamed file to another, from byte `at` on.

        Returns
        -------
        int or Wanted
            How many, fewer at the file's end; or what is wanted first.

        Raises
        ------
        OSError
            If they cannot be written.
        """
        return self.make(file, offset, size, NULL, fd, at)

    cdef make(self, uint32_t file, uint64_t offset, uint64_t size, uint8_t *out, int fd,
              uint64_t at):
        """Make bytes, and copy them to `out` or, where that is NULL, write them."""
        cdef bf_error err
        cdef bf_place place
        cdef bf_request request
        cdef bf_context *context
        cdef bf_status status
        cdef uint64_t made = 0
        cdef int i, failed = 0
        if size == 0:
            return 0
        with nogil:
            context = bf_engine_enter(&self.engine, 1)
            status = bf_engine_read(&self.engine, context, file, offset, size, &place, &err)
            if status == BF_OK:
                for i in range(1, context.num_iov):
                    made += context.iov[i].iov_len
                if out != NULL:
                    bf_copy_out(&context.iov[1], context.num_iov - 1, out)
                else:
                    failed = bf_write_at(fd, &context.iov[1], context.num_iov - 1, at)
            bf_engine_end(&self.engine, context)
            bf_engine_leave(&self.engine, context)
        if failed:
            raise OSError(failed, os.strerror(failed))
        if status == BF_OK:
            return made
        request.slot = 0
        request.unique = 0
        request.file = file
        request.offset = offset
        request.size = <uint32_t> size
        return wanted(&request, &place)

    def prepare(self):
        """Do a part of what is read ahead. Returns whether there was any, or what is `Wanted`."""
        cdef bf_place place
        cdef int found
        with nogil:
            found = bf_engine_ahead(&self.engine, &place)
        return wanted(NULL, &place) if place.array >= 0 else bool(found)

    def publish(self):
        """Bring the counters in the table up to date."""
        bf_engine_publish(&self.engine)
